// What the generator cannot say: schemas that take a word or an object.
declare type Alignment = 'auto' | 1 | 2 | 4 | 8 | 16 | 32 | 64 | 128 | 256;
declare type CorpusRef = string | { [field: string]: unknown };
declare type MethodChoice = string | { name: string; [option: string]: unknown };

// Prunes the bundled model through a client that was generated from the contract. Argument: the service's address.
import { ArtifactsApi, Configuration, PruningJobsApi, ResponseError } from './generated/index.js';

declare const process: { argv: string[] };

const service = process.argv[2];
const configuration = new Configuration({ basePath: service });
const jobs = new PruningJobsApi(configuration);

let job = await jobs.submitPruningJob({
  pruningRecipe: {
    model: 'tiny-qwen2moe',
    calibration: { corpus: 'kjv-train', sequences: 8, sequence_length: 64 },
    budget: { ratio: 0.25 },
  },
});
while (!job.terminal) {
  job = await jobs.getPruningJob({ id: job.id, wait: '30s', _while: job.state });
}
console.log(`${job.state}: ${job.result!.after.routed_atoms} of ${job.result!.before.routed_atoms} routed atoms`);

const events = (await jobs.listPruningJobEvents({ id: job.id, limit: 200 }))!;
console.log(`${events.items.length} events, the last is ${events.items[events.items.length - 1].type}`);

const artifact = await new ArtifactsApi(configuration).getArtifact({ id: job.artifact!.id });
for (const file of artifact.files) {
  const bytes = await (await fetch(service + file.href)).arrayBuffer();
  const digest = [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))].map((b) => b.toString(16).padStart(2, '0')).join('');
  console.log(`${file.name}: ${digest === file.sha256 ? 'OK' : 'DAMAGED'}`);
}

try {
  await jobs.submitPruningJob({ pruningRecipe: { model: 'none', budget: { ratio: 1.5 } } });
} catch (refused) {
  if (!(refused instanceof ResponseError)) throw refused;
  console.log(`refused with ${refused.response.status}: ${await refused.response.text()}`);
}

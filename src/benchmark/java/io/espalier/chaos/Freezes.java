package io.espalier.chaos;
public final class Freezes { public static void main(String[] a) throws Exception {} }

package io.espalier.chaos;
public final class StartLatency { public static void main(String[] a) throws Exception {} }

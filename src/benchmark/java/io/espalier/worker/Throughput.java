package io.espalier.worker;
public final class Throughput { public static void main(String[] a) throws Exception {} }

package io.espalier.chaos;
public final class Outages { public static void main(String[] a) throws Exception {} }

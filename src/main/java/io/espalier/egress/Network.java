package io.espalier.egress;

import java.net.InetAddress;

/**
 * Addresses with the same first bits (CIDR).
 *
 * @param base any address of it
 * @param bits how many are the same
 */
record Network(InetAddress base, int bits) {

    /**
     * @param text such as {@code 10.0.0.0/8}, or one address
     * @throws IllegalArgumentException when it is neither
     */
    static Network of(String text) {
        int slash = text.indexOf('/');
        InetAddress base = InetAddress.ofLiteral(slash < 0 ? text : text.substring(0, slash));
        int all = base.getAddress().length * 8;
        int bits = slash < 0 ? all : Integer.parseInt(text.substring(slash + 1));
        if (bits < 0 || bits > all) {
            throw new IllegalArgumentException(text + " has " + bits + " bits (expected: 0 to " + all + ")");
        }
        return new Network(base, bits);
    }

    boolean contains(InetAddress address) {
        byte[] mine = base.getAddress();
        byte[] other = address.getAddress();
        if (mine.length != other.length) {
            return false;
        }
        for (int bit = 0; bit < bits; bit += 8) {
            int mask = 0xff << Math.max(0, 8 - (bits - bit));
            if (((mine[bit / 8] ^ other[bit / 8]) & mask & 0xff) != 0) {
                return false;
            }
        }
        return true;
    }
}

package io.espalier.egress;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.List;

/** Who says which addresses a name has; a test says it itself. */
@FunctionalInterface
interface Names {

    Names OF_THE_SYSTEM = host -> List.of(InetAddress.getAllByName(host));

    List<InetAddress> resolve(String host) throws UnknownHostException;
}

#!/bin/sh
# unpack.sh LIBRARIES NATIVES: lays native libraries out where DJL looks for them (DJL_CACHE_DIR), and takes them out of their jars.
set -eu
libraries=$(cd "$1" && pwd)
mkdir -p "$2"
natives=$(cd "$2" && pwd)
work=$(mktemp -d)

property() {
  sed -n "s/^$1=//p" "$2"
}

slim() {
  (cd "$work" && jar --create --no-manifest --file "$1" .)
  rm -rf "$work"
  mkdir "$work"
}

for jar in "$libraries"/pytorch-native-*.jar; do
  (cd "$work" && jar --extract --file "$jar")
  facts="$work/native/lib/pytorch.properties"
  version=$(property version "$facts")
  flavor=$(property flavor "$facts")
  system=$(property classifier "$facts")
  home="$natives/pytorch/$version-$flavor-$system"
  mkdir -p "$home"
  mv "$work"/pytorch/"$flavor"/"$system"/*.so* "$home"
  for bridge in "$libraries"/pytorch-jni-*.jar; do
    name=${bridge##*-}
    (cd "$home" && jar --extract --file "$bridge" "jnilib/$system/$flavor/libdjl_torch.so" \
      && mv "jnilib/$system/$flavor/libdjl_torch.so" "${name%.jar}-libdjl_torch.so" && rm -r jnilib)
  done
  slim "$jar"
done

for jar in "$libraries"/tokenizers-*.jar; do
  (cd "$work" && jar --extract --file "$jar")
  version=$(property version "$work/native/lib/tokenizers.properties")
  home="$natives/tokenizers/$version"
  for library in "$work"/native/lib/linux-*/cpu/libtokenizers.so; do
    system=$(basename "$(dirname "$(dirname "$library")")")
    mkdir -p "$home-cpu-$system"
    mv "$library" "$home-cpu-$system"
  done
done
rm -rf "$work"
chmod -R a+rX "$natives"

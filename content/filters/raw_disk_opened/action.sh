# perl opens the first block device that can be opened, for reading, and reads nothing.
prepare() {
    n=0
    for dev in /sys/class/block/*/dev; do
        n=$((n + 1))
        IFS=: read -r major minor <$dev
        mknod /dev/block-$n b $major $minor
    done
}
act() { perl -e 'for (glob "/dev/block-*") { open my $f, "<", $_ and last }'; }

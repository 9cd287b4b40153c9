# Makes the room and runs one test in it. Started as root in new mount and pid namespaces, in the
# test's control group: `sh room.sh BASE WORK`. BASE is the root file system below the overlay; WORK
# holds room/ (scripts in, truth out) and an empty mnt/.
set -eu
base=$1 work=$2
mount --make-rprivate /
mount -t tmpfs -o size=512m,mode=755 room "$work/mnt"
mkdir "$work/mnt/upper" "$work/mnt/work" "$work/mnt/root"
root=$work/mnt/root
mount -t overlay -o "lowerdir=$base,upperdir=$work/mnt/upper,workdir=$work/mnt/work" overlay "$root"
mkdir -p "$root/room" "$root/old" "$root/atomics"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
for name in sysrq-trigger kcore kmsg keys timer_list; do
    [ ! -e "$root/proc/$name" ] || mount --bind /dev/null "$root/proc/$name"
done
for name in bus fs irq; do
    [ ! -e "$root/proc/$name" ] || mount -t tmpfs -o ro,size=4k none "$root/proc/$name"
done
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t tmpfs -o size=64m,mode=755 dev "$root/dev"
for name in null zero full random urandom tty; do
    : >"$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"
mount -t tmpfs -o size=64m,mode=1777 shm "$root/dev/shm"
mount -t tmpfs -o size=16m,mode=755 run "$root/run"
mount --bind "$work/room" "$root/room"
mount --bind "$work/atomics" "$root/atomics"
mount -o remount,bind,ro "$root/atomics"
cd "$root"
pivot_root . old
umount -l /old
rmdir /old
# The locks, tried before anything else is.
for shut in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/sys/vm/drop_caches; do
    [ -c "$shut" ] || ! (: >>"$shut") 2>/dev/null || {
        echo "the room is not closed: $shut can be written" >/room/failed
        exit 1
    }
done
mkfifo /room/go
unshare --user --net --uts --ipc --mount /bin/sh /room/inner.sh &
inner=$!
echo '0 0 65536' >"/proc/$inner/uid_map" 2>/dev/null || sleep 0.2
for try in 1 2 3 4 5 6 7 8 9 10; do
    case $(cat "/proc/$inner/uid_map") in *65536*) break ;; esac
    echo '0 0 65536' >"/proc/$inner/uid_map" 2>/dev/null || sleep 0.1
done
echo '0 0 65536' >"/proc/$inner/gid_map"
echo go >/room/go
wait "$inner"

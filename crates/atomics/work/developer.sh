# A developer's day: repositories, branches, hooks, keys, scripts in Python and JavaScript, editors' files, archives, dot files.
prepare() { mkdir -p /home/ana/code && chown -R 1000:1000 /home/ana; }
act() {
    cat >/home/ana/day.sh <<'DAY'
    git config --global user.email ana@example.org; git config --global user.name ana; git config --global init.defaultBranch main
    mkdir -p .ssh && chmod 700 .ssh && ssh-keygen -q -t ed25519 -N "" -f .ssh/id_ed25519 && ssh-keygen -lf .ssh/id_ed25519.pub
    printf "Host *\n  ServerAliveInterval 60\n" >.ssh/config
    echo "alias ll=\"ls -l\"" >>.bashrc; echo "export EDITOR=vim" >>.profile
    git init -q --bare code/origin.git; git clone -q code/origin.git code/work; cd code/work
    printf "#!/bin/sh\ngit diff --check --cached\n" >.git/hooks/pre-commit; chmod +x .git/hooks/pre-commit
    round=0
    while left; do
        round=$((round + 1))
        git checkout -q -b topic-$round 2>/dev/null
        mkdir -p lib; for n in 1 2 3 4; do echo "def f$n(x): return x + $round" >>lib/m$n.py; done
        printf "import json,sys\nprint(json.dumps({\"round\": %s}))\n" $round >tool.py
        python3 tool.py | jq .round; python3 -m py_compile lib/*.py; python3 -m compileall -q lib
        printf "const fs=require(\"fs\");fs.writeFileSync(\"out.json\",JSON.stringify({a:%s}));" $round >b.js; node b.js; cat out.json
        echo "{\"name\":\"w\",\"version\":\"1.0.0\",\"scripts\":{\"test\":\"node b.js\",\"build\":\"node b.js && cp out.json dist.json\"}}" >package.json; npm test --silent; npm run build --silent
        git add -A; git commit -qm "round $round"; git checkout -q main 2>/dev/null || git checkout -q -b main; git merge -q topic-$round; git push -q origin HEAD; git log --oneline | head -2; git diff HEAD~1 --stat | tail -1; git stash list; git gc -q
        grep -rn "def f1" . | head -2; find . -name "*.py" | xargs wc -l | tail -1; sed -i "s/round/turn/" tool.py; git checkout -q -- tool.py
        zip -qr /home/ana/w.zip lib; unzip -l /home/ana/w.zip | tail -1; base64 tool.py | base64 -d >/dev/null; md5sum tool.py
        python3 -m http.server 8000 --bind 127.0.0.1 >/dev/null 2>&1 & s=$!; rest 1; curl -s -o /tmp/index.html http://127.0.0.1:8000/; wget -q -P /tmp http://127.0.0.1:8000/tool.py; rm -f /tmp/index.html /tmp/tool.py*; kill $s
        tar czf /tmp/w.tgz lib && rm /tmp/w.tgz; cat /home/ana/.ssh/id_ed25519.pub; gpg --version | head -1; less -F tool.py >/dev/null; tail -1 /home/ana/.bashrc; history | tail -1
        gdb -batch -ex "info registers" --args /bin/true >/dev/null 2>&1; strace -c -o /tmp/s /bin/true; rm -f /tmp/s
        rest 15
    done
DAY
    ana bash /home/ana/day.sh
}

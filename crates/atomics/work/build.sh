# A build: C with make and gcc, Java, Python, tests, an archive of the release; again after each change.
prepare() { mkdir -p /home/ana/tool && chown -R 1000:1000 /home/ana; }
act() {
    cat >/home/ana/day.sh <<'DAY'
    cd tool && git init -q . && git config user.email a@example.org && git config user.name ana
    mkdir -p src test
    for n in $(seq 24); do printf "#include <stdio.h>\n#include <string.h>\nint f%d(int x){char b[64];snprintf(b,64,\"%%d\",x);return (int)strlen(b)+%d;}\n" $n $n >src/f$n.c; done
    { for n in $(seq 24); do echo "int f$n(int);"; done; echo "int main(void){int s=0;"; for n in $(seq 24); do echo "s+=f$n(s);"; done; echo "return s==0;}"; } >src/main.c
    printf "OBJ=\$(patsubst %%.c,%%.o,\$(wildcard src/*.c))\ntool: \$(OBJ)\n\tgcc -o \$@ \$^\n%%.o: %%.c\n\tgcc -O2 -Wall -c -o \$@ \$<\ntest: tool\n\t./tool && python3 -m unittest discover -s test\ninstall: tool\n\tinstall -D tool \$(DESTDIR)/usr/local/bin/tool\nclean:\n\trm -f src/*.o tool\n" >Makefile
    printf "import subprocess,unittest\nclass T(unittest.TestCase):\n    def test_a(self): self.assertEqual(subprocess.run([\"./tool\"]).returncode, 0)\n" >test/test_tool.py
    printf "public class Hello { public static void main(String[] a) { System.out.println(1); } }\n" >Hello.java
    while left; do
        make -j2 && make test; make install DESTDIR=/home/ana/stage
        javac Hello.java && java Hello
        strip tool; objdump -d tool | head -3; ldd tool; file tool; nm tool | wc -l
        git add -A; git commit -qm work; git archive -o /tmp/tool.tar.gz HEAD; sha256sum /tmp/tool.tar.gz
        tar czf /home/ana/tool-release.tgz -C stage . ; rm -rf /home/ana/stage
        mktemp -d >/tmp/last; d=$(cat /tmp/last); tar xzf /tmp/tool.tar.gz -C "$d"; (cd "$d" && make >/dev/null && ./tool); rm -rf "$d"
        printf "#!/bin/sh\nexec gcc --version\n" >/tmp/probe.sh; chmod +x /tmp/probe.sh; /tmp/probe.sh | head -1; rm /tmp/probe.sh
        touch src/f$((RANDOM % 24 + 1)).c; [ $((RANDOM % 3)) = 0 ] && make clean
        rest 15
    done
DAY
    ana bash /home/ana/day.sh
}

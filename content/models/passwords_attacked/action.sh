# The password database is opened, then a cracker and a guesser run (harmless programs).
prepare() { stand_in unshadow hydra; }
act() {
    head -c 1 /etc/shadow
    unshadow passwd.txt shadow.txt
    hydra -l root -P words.txt ssh://127.0.0.1
}

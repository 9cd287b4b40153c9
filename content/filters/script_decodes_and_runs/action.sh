# bash runs a script that decodes and runs an empty command.
prepare() { printf 'echo dHJ1ZQo= | base64 -d | sh\n' >/home/ana/setup.sh; }
act() { bash /home/ana/setup.sh; }

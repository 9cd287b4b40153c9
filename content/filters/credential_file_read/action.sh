# cat opens somebody's cloud credentials.
prepare() { mkdir -p /home/ana/.aws && echo '[default]' >/home/ana/.aws/credentials; }
act() { cat /home/ana/.aws/credentials; }

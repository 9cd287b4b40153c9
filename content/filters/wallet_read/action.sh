# cp opens /home/ana/.bitcoin/wallet.dat, made for it.
prepare() { mkdir -p '/home/ana/.bitcoin' && echo x >'/home/ana/.bitcoin/wallet.dat'; }
act() { cp -t /tmp '/home/ana/.bitcoin/wallet.dat'; }

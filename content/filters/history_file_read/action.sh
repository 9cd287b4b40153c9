# grep opens /home/ana/.bash_history, made for it.
prepare() { mkdir -p '/home/ana' && echo x >'/home/ana/.bash_history'; }
act() { grep -i pass '/home/ana/.bash_history'; }

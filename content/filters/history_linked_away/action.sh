# ln makes such a link.
prepare() { rm /root/.bash_history; }
act() { ln -s /dev/null /root/.bash_history; }

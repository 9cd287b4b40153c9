# `tmux -S /tmp/tmux-1000/default attach`, with a harmless program by the name of tmux.
prepare() { stand_in tmux; }
act() { tmux -S /tmp/tmux-1000/default attach; }

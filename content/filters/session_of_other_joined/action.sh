# `tmux -S /tmp/tmux-1000/default attach`.
act() { tmux -S /tmp/tmux-1000/default attach; }

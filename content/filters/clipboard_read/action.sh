# `xclip -selection clipboard -o`, with a harmless program by the name of xclip.
prepare() { stand_in xclip; }
act() { xclip -selection clipboard -o; }

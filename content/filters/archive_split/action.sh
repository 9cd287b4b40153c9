# `split -b 10M out.7z part.`, with a harmless program by the name of split.
prepare() { stand_in split; }
act() { split -b 10M out.7z part.; }

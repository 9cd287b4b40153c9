# `split -b 10M out.7z part.`.
act() { split -b 10M out.7z part.; }

# `upx -9 /home/ana/part`, with a harmless program by the name of upx.
prepare() { stand_in upx; }
act() { upx -9 /home/ana/part; }

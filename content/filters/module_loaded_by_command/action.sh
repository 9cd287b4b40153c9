# `insmod /home/ana/tidy.ko`, with a harmless program by the name of insmod.
prepare() { stand_in insmod; }
act() { insmod /home/ana/tidy.ko; }

# `kexec -l /home/ana/vmlinuz --reuse-cmdline`, with a harmless program by the name of kexec.
prepare() { stand_in kexec; }
act() { kexec -l /home/ana/vmlinuz --reuse-cmdline; }

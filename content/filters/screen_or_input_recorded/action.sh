# `import -window root /home/ana/.s.png`, with a harmless program by the name of import.
prepare() { stand_in import; }
act() { import -window root /home/ana/.s.png; }

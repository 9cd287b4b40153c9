# curl sends a file as a form (a harmless program by that name).
prepare() { stand_in curl; }
act() { curl -s -F file=@/home/ana/report.pdf http://127.0.0.1/up; }

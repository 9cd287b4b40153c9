# curl sends a file as a form.
act() { curl -s -F file=@/home/ana/report.pdf http://127.0.0.1/up; }

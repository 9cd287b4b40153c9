# rm of root's command history.
act() { rm /root/.bash_history; }

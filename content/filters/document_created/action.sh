# A shell writes a new text into a home.
act() { echo plan >/home/ana/plan.txt; }

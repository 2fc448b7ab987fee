// The library that needs_vanished is linked with, and that lies where no loader looks.
__attribute__((visibility("default"))) void vanished();
void vanished() {}

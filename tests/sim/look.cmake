# Lookers-on of a simulated world: what they show to people. tests/sim/CMakeLists.txt includes it.

troth_library(troth_sim_look SOURCES words.c trace.c LINKS troth_base)

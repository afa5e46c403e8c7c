# Lookers-on of a simulated world: what they show to people. tests/sim/CMakeLists.txt includes it.

troth_library(
  troth_sim_look
  SOURCES words.c
          trace.c
          diagram.c
          diagram_labels.c
          diagram_layout.c
          diagram_draw.c
          diagram_frame.c
          diagram_svg.c
          coverage.c
          coverage_watch.c
          coverage_tx.c
  LINKS troth_base m)
foreach(test trace diagram coverage)
  troth_unit_test(test_sim_${test} LINKS troth_sim_look)
endforeach()

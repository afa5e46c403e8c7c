# Who judges a simulated world. tests/sim/CMakeLists.txt includes it. It links libc alone, and shares
# no code with what it judges.

troth_library(
  troth_sim_oracle
  SOURCES oracle.c
          oracle_data.c
          oracle_disk.c
          oracle_live.c
          oracle_marks.c
          oracle_order.c
          oracle_outcome.c
          oracle_paxos.c
          oracle_state.c
          sight.c)
foreach(test test_sim_oracle test_sim_oracle_disk test_sim_oracle_end)
  troth_unit_test(${test} LINKS troth_sim_oracle)
endforeach()

# X/Open TX: programs of the interface, as processes, with real databases.
add_executable(tx_program tx_program.c)
target_link_libraries(tx_program PRIVATE Troth::tx troth_flags troth_warnings PkgConfig::LIBPQ
                                         PkgConfig::MARIADB)
# The switch's library asks the program for ax_reg.
set_target_properties(tx_program PROPERTIES ENABLE_EXPORTS ON)

troth_library(
  troth_tx_fixture
  SOURCES ${CMAKE_SOURCE_DIR}/tests/lib/tx_fixture.c ${CMAKE_SOURCE_DIR}/tests/lib/program_run.c
          ${CMAKE_SOURCE_DIR}/tests/lib/crooked_file.c
  LINKS troth_cluster_fixture troth_database_server PkgConfig::LIBPQ PkgConfig::MARIADB)
target_compile_definitions(
  troth_tx_fixture PRIVATE TX_PROGRAM="$<TARGET_FILE:tx_program>"
                           CROOKED_SWITCH="$<TARGET_FILE:troth_crooked_switch>")
add_dependencies(troth_tx_fixture tx_program troth_crooked_switch)
foreach(test test_tx test_tx_xa)
  troth_integration_test(${test} LINKS troth_tx_fixture)
endforeach()
target_compile_definitions(test_tx PRIVATE EXAMPLE_TX="$<TARGET_FILE:example_tx>")
add_dependencies(test_tx example_tx)
troth_integration_test(test_tx_agents LINKS troth_tx_fixture)
add_dependencies(test_tx_agents troth-agent)

# What programs and services are sent that they must refuse, and what foreign clients send.
troth_library(
  troth_scene
  SOURCES ${CMAKE_SOURCE_DIR}/tests/lib/scene.c
          ${CMAKE_SOURCE_DIR}/tests/lib/raw_rpc.c
          ${CMAKE_SOURCE_DIR}/tests/lib/stream_replies.c
          ${CMAKE_SOURCE_DIR}/tests/lib/db_dump.c
          ${CMAKE_SOURCE_DIR}/tests/lib/program_run.c
  LINKS troth_harness troth_rpc troth_wire_items PkgConfig::SQLITE PkgConfig::CHECK)

troth_integration_test(test_bad_input_transactions LINKS troth_scene)
troth_integration_test(test_bad_input_streams LINKS troth_scene troth_wire)
troth_integration_test(test_client_stream LINKS troth_scene)
troth_integration_test(test_kv_stream LINKS troth_scene)
troth_integration_test(test_bad_input_kv LINKS troth_scene)
troth_integration_test(test_bad_input_data LINKS troth_scene)
troth_integration_test(test_bad_input_disk LINKS troth_scene)
troth_integration_test(test_interop LINKS troth_scene)
target_compile_definitions(test_interop PRIVATE TROTH_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
troth_integration_test(test_examples LINKS troth_scene)
target_compile_definitions(
  test_examples
  PRIVATE TROTH_SOURCE_DIR="${CMAKE_SOURCE_DIR}" EXAMPLE_CLIENT="$<TARGET_FILE:example_client>"
          EXAMPLE_ONE_CALL="$<TARGET_FILE:example_one_call>"
          EXAMPLE_PARTICIPANT="$<TARGET_FILE:example_participant>")
add_dependencies(test_examples example_client example_one_call example_participant)
troth_integration_test(test_bad_input_start LINKS troth_scene)
add_dependencies(test_bad_input_start troth)

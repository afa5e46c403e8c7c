# Another transaction manager drives troth-shards by their XA switch.
troth_library(
  troth_foreign_scene
  SOURCES ${CMAKE_SOURCE_DIR}/tests/lib/foreign_tm.c ${CMAKE_SOURCE_DIR}/tests/lib/foreign_scene.c
  LINKS troth_cluster_fixture troth_shard_xa PkgConfig::SQLITE PkgConfig::CHECK)
troth_integration_test(test_xa_switch LINKS troth_foreign_scene)
troth_integration_test(test_xa_foreign LINKS troth_foreign_scene)
troth_integration_test(test_xa_branches LINKS troth_foreign_scene troth_scene)
# And Troth is that manager itself.
troth_integration_test(test_xa_both_ways LINKS troth_foreign_scene troth_xa)
target_compile_definitions(test_xa_both_ways PRIVATE SHARD_SWITCH="$<TARGET_FILE:troth_shard_xa>")

# Resource managers with XA switches.
troth_library(troth_xa_manager SOURCES ${CMAKE_SOURCE_DIR}/tests/lib/xa_manager.c
                                       ${CMAKE_SOURCE_DIR}/tests/lib/crooked_file.c
              LINKS troth_base PkgConfig::CHECK ${CMAKE_DL_LIBS})
target_compile_definitions(troth_xa_manager
                           PRIVATE CROOKED_SWITCH="$<TARGET_FILE:troth_crooked_switch>")
add_dependencies(troth_xa_manager troth_crooked_switch)
troth_integration_test(test_xa LINKS troth_scene troth_xa troth_xa_manager)

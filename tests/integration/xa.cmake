# Resource managers with XA switches.
troth_library(troth_xa_manager SOURCES ${CMAKE_SOURCE_DIR}/tests/lib/xa_manager.c
                                       ${CMAKE_SOURCE_DIR}/tests/lib/crooked_file.c
              LINKS troth_base PkgConfig::CHECK ${CMAKE_DL_LIBS})
target_compile_definitions(troth_xa_manager
                           PRIVATE CROOKED_SWITCH="$<TARGET_FILE:troth_crooked_switch>")
add_dependencies(troth_xa_manager troth_crooked_switch)
troth_integration_test(test_xa LINKS troth_scene troth_xa troth_xa_manager)
troth_integration_test(test_xa_agent LINKS troth_scene troth_xa_manager)
add_dependencies(test_xa_agent troth-agent)

# A resource manager that others wrote. Its library is part of Debian's base system; its header is
# not, so this test is left out where nobody has installed it (libdb5.3-dev).
find_path(BERKELEY_INCLUDE db.h)
find_library(BERKELEY_LIBRARY db-5.3)
if(BERKELEY_INCLUDE AND BERKELEY_LIBRARY)
  add_executable(berkeley_client ${CMAKE_CURRENT_LIST_DIR}/berkeley_client.c)
  target_link_libraries(berkeley_client PRIVATE troth_base ${BERKELEY_LIBRARY} troth_flags
                                                troth_warnings)
  target_include_directories(berkeley_client SYSTEM PRIVATE ${BERKELEY_INCLUDE})
  troth_integration_test(test_xa_berkeley LINKS troth_scene troth_xa)
  target_compile_definitions(
    test_xa_berkeley PRIVATE BERKELEY_CLIENT="$<TARGET_FILE:berkeley_client>"
                             BERKELEY_LIBRARY="${BERKELEY_LIBRARY}")
  add_dependencies(test_xa_berkeley berkeley_client)
endif()

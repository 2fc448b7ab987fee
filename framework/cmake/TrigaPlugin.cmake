# triga_add_plugin(name sources...): lib/triga/plugins/<name>.so, which the command finds by its name.
# Symbols are hidden but for the descriptor, so that two plugins never meet.
function(triga_add_plugin name)
  add_library(triga_plugin_${name} MODULE ${ARGN})
  target_link_libraries(triga_plugin_${name} PRIVATE triga triga_flags)
  set_target_properties(triga_plugin_${name} PROPERTIES
    PREFIX "" OUTPUT_NAME ${name} CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LIBRARY_OUTPUT_DIRECTORY ${TRIGA_PLUGIN_OUTPUT_DIRECTORY})
  set_property(GLOBAL APPEND PROPERTY TRIGA_PLUGINS triga_plugin_${name})
  triga_precompile(triga_plugin_${name})
endfunction()

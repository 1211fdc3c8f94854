# SPDX-License-Identifier: GPL-2.0
#
# Definitions for all makefiles that install files. Installed files are used at paths below PREFIX,
# so PREFIX and the other folders must be absolute. DESTDIR and OUTPUT may be relative to the folder
# in which make runs, and may contain blanks.

empty :=
blank := $(empty) $(empty)

# Returns a path with its blanks escaped, for use as a target or prerequisite.
escaped = $(subst $(blank),\$(blank),$(1))

# The start of a command that makes a folder and installs files with a mode into it. The modes of
# new folders do not depend on the caller's umask.
#   $(call to,FOLDER,MODE) FILE...
to = umask 022 && mkdir -p "$(DESTDIR)$(1)" && install -m $(2) -t "$(DESTDIR)$(1)"

$(foreach variable,PREFIX INCLUDEDIR LIBDIR MANDIR SBINDIR DOCDIR,\
	$(if $($(variable)),$(if $(filter /%,$($(variable))),,\
		$(error $(variable)=$($(variable)): give an absolute path))))

"""The citizen's and the professionals' pages: server-rendered, working without JavaScript."""

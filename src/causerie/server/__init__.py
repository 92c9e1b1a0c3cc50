"""The server: HTTP, WebSockets, Wyoming and a web page, in front of one `TTS`."""

# Whether the API on port $0 says that it and its database work.
exec 3<>"/dev/tcp/127.0.0.1/$0" || exit
printf 'GET /health HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n' >&3
head -n 1 <&3 | grep -q ' 200 '

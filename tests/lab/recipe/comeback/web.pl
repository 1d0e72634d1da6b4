# A web service that behaves as /etc/lab/web says: BODY, DELAY (seconds), EXIT_AFTER (seconds), PORT.
use strict;
use IO::Socket::INET;

my %is = (BODY => "fine", DELAY => 0, EXIT_AFTER => 0, PORT => 8090);
open(my $file, "<", $ARGV[0]) or die "cannot read $ARGV[0]: $!";
while (<$file>) { $is{$1} = $2 if /^(\w+)=(.*)$/ }
my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $is{PORT}, Listen => 64, ReuseAddr => 1)
    or die "cannot listen on $is{PORT}: $!";
alarm($is{EXIT_AFTER}) if $is{EXIT_AFTER};
$SIG{ALRM} = sub { die "something in me broke" };
while (1) {
    my $client = $server->accept or next;
    while (<$client>) { last if /^\r?$/ }
    select(undef, undef, undef, $is{DELAY}) if $is{DELAY};
    my $length = length $is{BODY};
    print $client "HTTP/1.1 200 OK\r\nX-Lab: yes\r\nContent-Length: $length\r\nConnection: close\r\n\r\n$is{BODY}";
    close $client;
}

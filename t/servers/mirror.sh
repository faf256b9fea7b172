# mirror.sh - sets $maven, the repository that packages of Maven Central are taken
# from: $WEIR_MAVEN; else the mirror in ~/.m2/settings.xml; else Maven Central
# itself.  Proxies are curl's (https_proxy).

# The settings' mirror of everything or of `central`.
mirror_in()
{
    perl -0777 -ne 's/<!--.*?-->//gs;
        for my $mirror (/<mirror>(.*?)<\/mirror>/gs) {
            my ($of) = $mirror =~ /<mirrorOf>\s*(.*?)\s*</s or next;
            my ($url) = $mirror =~ /<url>\s*(.*?)\s*</s or next;
            next if $of =~ /!central\b/;
            next if !grep { /^\s*(?:\*|central|external:\*)\s*$/ } split /,/, $of;
            print $url;
            last;
        }' "$1"
}

maven=${WEIR_MAVEN:-}
settings=${HOME:-}/.m2/settings.xml
[ -n "$maven" ] || [ ! -r "$settings" ] || maven=$(mirror_in "$settings")
[ -n "$maven" ] || maven=https://repo.maven.apache.org/maven2
maven=${maven%/}
